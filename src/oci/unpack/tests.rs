//! Archives made to break out, to fill the disk, or to eat memory and time.
