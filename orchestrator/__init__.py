"""What a run is, where it is kept, what happens next, and the face that people see."""
