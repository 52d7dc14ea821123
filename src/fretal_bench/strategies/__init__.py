"""The strategies: one file each, on the shared template in ``template.py``; the list of them is in ``registry.py``."""
