"""A module for each command of the admins."""
