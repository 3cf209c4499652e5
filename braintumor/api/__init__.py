"""An API for programs: a file is sent, answered in the background, and what was made of it fetched."""
