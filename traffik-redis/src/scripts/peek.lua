-- How each limit stands, and whether it has room: nothing is charged, and nothing is written.
local function peek(hits)
  local _, entries = try_hits(hits)
  return tell(hits, entries)
end

return answer_each(peek)
