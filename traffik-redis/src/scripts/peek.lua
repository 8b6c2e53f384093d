-- Answers like decide.lua, but charges and writes nothing.
local function peek(hits)
  local _, entries, extra = try_hits(hits)
  return show(hits, entries, extra)
end

return answer_each(peek)
