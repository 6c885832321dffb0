package inplace

// Temporary is the name of files that are not in their place yet.
func (in Installation) Temporary() string { return temporary(in.File) }
