"""Numbers as data: committed results, each with how it was made."""
