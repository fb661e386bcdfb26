"""Scikit-learn's conventions and the fitted state: checks, labels, fit as a table of contents. Knows everything below it."""
