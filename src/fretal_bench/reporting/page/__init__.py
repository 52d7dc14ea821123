"""The page of a report: one HTML file to explore; its data, its templates, its style and its script."""
