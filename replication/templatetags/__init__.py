"""What templates show of replications."""
