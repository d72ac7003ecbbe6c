-- Drops the oldest dead letters that are too old, or too many for the bytes they may take. Little at a time.
-- KEYS: dead-letter stream. ARGV: the most bytes, the most seconds, the most letters to drop at once.
-- Returns bytes used before, the oldest letter's age in seconds, then reason and number of what was dropped.
local stream, most_bytes, most_seconds, at_once = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local PAGE_BYTES = 4 * 1024 * 1024

local used = redis.call('MEMORY', 'USAGE', stream, 'SAMPLES', 0)
if not used then return {0, 0} end
local now = tonumber(redis.call('TIME')[1])

local function age(id)
  return now - math.floor(tonumber(string.match(id, '^%d+')) / 1000)
end

local function measure(letter)
  local size, reason = 0, ''
  for position = 1, #letter, 2 do
    size = size + #letter[position] + #letter[position + 1]
    if letter[position] == 'reason' then reason = letter[position + 1] end
  end
  return size, reason
end

local excess, oldest, freed, dropped, ids = used - most_bytes, nil, 0, {}, {}
local start = '-'
while #ids < at_once and freed < PAGE_BYTES do
  local page = redis.call('XRANGE', stream, start, '+', 'COUNT', 1)
  if #page == 0 then break end
  local id = page[1][1]
  oldest = oldest or age(id)
  if freed >= excess and age(id) <= most_seconds then break end
  local size, reason = measure(page[1][2])
  freed, start = freed + size, '(' .. id
  dropped[reason] = (dropped[reason] or 0) + 1
  ids[#ids + 1] = id
end
if #ids > 0 then redis.call('XDEL', stream, unpack(ids)) end
local reply = {used, oldest or 0}
for reason, number in pairs(dropped) do
  reply[#reply + 1] = reason
  reply[#reply + 1] = number
end
return reply
