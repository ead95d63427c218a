"""The process: what a PDK file says, where its tree is, and how the embedded tree is assembled and checked."""
