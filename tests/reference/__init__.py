"""The reference: results of all strategies on FF++-mini, their reports, and what the documents quote of these."""
