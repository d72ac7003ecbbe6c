-- Writes what an admin chat was told, and lets others have it, if it is still ours.
-- KEYS: the chat's hash. ARGV: our name, the memory. Returns whether it was written.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'memory', ARGV[2], 'leased', '0')
return 1
