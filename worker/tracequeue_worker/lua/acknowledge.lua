-- Acknowledges entries for a group that stores them elsewhere, and counts them in the tally (see look.lua).
-- KEYS: stream, its tally. ARGV: group, then entry ids. Returns how many were pending.
local stream, tally, group = KEYS[1], KEYS[2], ARGV[1]
local acknowledged = redis.call('XACK', stream, group, unpack(ARGV, 2))
if acknowledged > 0 then redis.call('HINCRBY', tally, 'settled:' .. group, acknowledged) end
return acknowledged
