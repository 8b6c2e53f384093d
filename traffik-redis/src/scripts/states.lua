-- The time, and what is stored under each key as it is: for strategies that have no form in Lua.
local answer = { now }
for i, key in ipairs(KEYS) do
  answer[i + 1] = redis.call('GET', key) or ''
end
return answer
