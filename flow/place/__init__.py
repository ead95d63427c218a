"""Placement: pins at the die's edge, standard cells in rows, fill, and an independent check of it all."""
