// Package rollup counts transfers by hour, host, client and file. It says which counts a transfer touches, adds them up for a tile, and keeps days of
// them in memory.
//
//	old and new revision --Change.Add--> cells that move --(sqlstore writes them)--> Images.Apply
//	Images.Each, or a day that sqlstore reads --> Tallies --Top, Sorted--> rows of a tile
//
// It promises that the counts of any sequence of revisions are those of the last ones. It is pure but for the lock of Images, and leaves SQL to sqlstore.
package rollup
