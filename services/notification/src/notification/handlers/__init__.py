"""One module for each topic that notification consumes, and what they share: joining facts."""
