"""The processors that move the money: a folder for each, behind one port."""
