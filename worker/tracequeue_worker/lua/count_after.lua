-- How many entries follow an id, up to a number that holds the server up for a few milliseconds only.
-- KEYS: stream. ARGV: id, the most to count. Returns the number and the id of the last one counted: go on from there.
-- Pages are small because each entry passes through memory with its body.
local last, most, counted = ARGV[1], tonumber(ARGV[2]), 0
while counted < most do
  local page = redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', 50)
  counted = counted + #page
  if #page > 0 then last = page[#page][1] end
  if #page < 50 then break end
end
return {counted, last}
