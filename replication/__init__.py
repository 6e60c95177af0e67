"""Rules and what comes of them: executions, tasks, transfers, logs, and the workers that carry them out."""
