"""The demonstration: two registries, one rule, one push, and the image arrives. Uses the product from outside only."""
