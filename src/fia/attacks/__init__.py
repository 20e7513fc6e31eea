"""Attacks: they try to bring back what an edit forgot, one file each, behind one interface."""
