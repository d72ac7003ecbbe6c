-- Takes what an admin chat was told, for the time of a lease, unless another process has it now.
-- KEYS: the chat's hash. ARGV: our name, the lease and how long an unused hash is kept, both in milliseconds.
-- Returns the name of who had it last, empty for nobody; nil where another has it.
local key, owner = KEYS[1], ARGV[1]
local previous, leased = unpack(redis.call('HMGET', key, 'owner', 'leased'))
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if previous and previous ~= owner and tonumber(leased) > now then return nil end
redis.call('HSET', key, 'owner', owner, 'leased', string.format('%.0f', now + ARGV[2]))
redis.call('PEXPIRE', key, ARGV[3])
return previous or ''
