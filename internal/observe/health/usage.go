package health

import "time"

// Usage is how large the database is and how it is used, by its own statistics.
type Usage struct {
	Bytes   int64     // of the whole database
	Since   time.Time // when the statistics begin; zero: with the database
	Tables  []TableUsage
	Indexes []IndexUsage
}

// TableUsage is the use of a table with all its partitions.
type TableUsage struct {
	Name           string
	Partitions     int64 // 1 for a table without any
	Bytes          int64 // with indexes
	Rows, DeadRows int64 // estimates
	TableScans     int64 // that read the whole table or partition
	IndexScans     int64
}

// IndexUsage is the use of an index with those of all partitions.
type IndexUsage struct {
	Name, Table string
	Scans       int64
	Bytes       int64
}
