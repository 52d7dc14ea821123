"""The strategies: one file each, on the shared template in ``template.py``; a row each in ``catalogue/``."""
