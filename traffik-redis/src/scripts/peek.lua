-- How each limit stands, and whether it has room: nothing is charged, and nothing is written.
local _, hits, entries = try_hits()
return tell(hits, entries)
