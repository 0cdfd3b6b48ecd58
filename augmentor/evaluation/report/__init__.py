"""A report for the console, as one HTML file, and as figures."""
