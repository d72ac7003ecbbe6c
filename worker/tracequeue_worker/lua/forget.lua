-- Takes entries that were deleted from the stream off the pending list, and remembers them as lost.
-- KEYS: stream, its tally (see look.lua). ARGV: group, then entry ids. Returns how many were pending.
local stream, tally, group = KEYS[1], KEYS[2], ARGV[1]
local forgotten = redis.call('XACK', stream, group, unpack(ARGV, 2))
if forgotten > 0 then redis.call('HINCRBY', tally, 'lost:' .. group, forgotten) end
return forgotten
