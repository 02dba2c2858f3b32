"""Every labelled statement of the library as an exercise: a sheet to fill in, and a judge of each answer alone."""
