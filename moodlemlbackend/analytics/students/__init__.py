"""The students of a course as its teachers see them: their risk, what they do, and what was done about them."""
