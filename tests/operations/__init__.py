"""How the product is run: commands, supervisor, image, demonstration, and the servers of the tests."""
