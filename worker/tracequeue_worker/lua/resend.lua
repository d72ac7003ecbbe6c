-- Sends a dead letter again and takes it away: first the one, then the other, and only while it is there.
-- KEYS: stream, dead-letter stream. ARGV: id of the letter, then the fields and values of the entry.
-- Returns the id of the entry; 0 if the letter is gone; the list of 'error' and its text where the entry cannot be added: the letter stays.
local stream, dead, id = KEYS[1], KEYS[2], ARGV[1]
if #redis.call('XRANGE', dead, id, id) == 0 then return 0 end
local entry = redis.pcall('XADD', stream, '*', unpack(ARGV, 2))
if type(entry) == 'table' and entry.err then return {'error', entry.err} end
redis.call('XDEL', dead, id)
return entry
