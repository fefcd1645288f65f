"""The doors: each turns an event into a use case and its result into an answer, and nothing more."""
