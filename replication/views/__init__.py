"""The pages of rules, executions, tasks and logs."""
