"""The benchmark: HarborSync as a whole against skopeo, crane and regctl, on the same registries in the same run."""
