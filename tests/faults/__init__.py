"""What goes wrong on purpose, and what HarborSync makes of it."""
