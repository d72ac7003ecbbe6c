"""What somebody should be told of: looked for again and again, told once."""
