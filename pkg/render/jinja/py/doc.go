// Package py has the values that templates work with, and what Python does with them: how they are printed, compared,
// added, indexed and formatted, and which methods they have.
//
// A value is one of nil (None), bool, int64, *big.Int (beyond int64), float64, string, [Markup], [Bytes], [Tuple], *[List],
// *[Dict], *[Set], *[Undefined], or any type that implements some of the interfaces here ([Attributer], [Callable], ...).
//
// What Python raises is raised here too, by a panic with an *[Exception]: the functions of this package would be unreadable
// otherwise. The engine recovers it at its border; so must whoever else calls in. Everything that could take long or much
// is charged to a [Run], which raises an exception when its limits are reached.
package py
