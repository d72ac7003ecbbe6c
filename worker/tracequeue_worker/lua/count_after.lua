-- How many entries a stream has after an id. KEYS: stream. ARGV: id, the most to count.
-- Pages are small because each entry passes through memory with its body.
local start, most, counted = '(' .. ARGV[1], tonumber(ARGV[2]), 0
while counted < most do
    local page = redis.call('XRANGE', KEYS[1], start, '+', 'COUNT', 50)
    counted = counted + #page
    if #page < 50 then break end
    start = '(' .. page[#page][1]
end
return counted
