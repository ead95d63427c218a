"""Clock tree synthesis: from a placed design to one whose clock reaches every register at about the same time."""
