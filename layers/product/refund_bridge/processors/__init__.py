"""The processors that move the money, one file each, behind one port."""
