"""Hospitals that train one network together, on Flower: scans stay where they are, weights travel."""
