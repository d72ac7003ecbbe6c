-- Settles entries that are committed: the dead letters, then the acknowledgement, then the receipt. In this order: a
-- dead letter that cannot be written leaves its entry pending, and of two workers only one writes it.
-- Letters are written where the entry is pending, and where it is neither pending nor in the stream any more: then no
-- other delivery would bring them. Not where they were written before: see `written_before`.
-- What is acknowledged is counted in the tally (see look.lua), and how much of it brought a frame once more.
-- KEYS: stream, dead-letter stream, tally, then the receipts of each emitter.
-- ARGV: group, seconds until receipts expire, then for each entry: id, id of the entry that first brought this frame or
-- '', position of its receipts among KEYS or 0, frame number, 1 if another entry brought this frame too or else 0, number
-- of dead letters, and for each of these the number of its fields and values, and they themselves.
-- Returns for each entry 1 (settled), 0 (settled by another worker, or deleted), or the text of an error.
local stream, dead, tally, group, expiry = KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2]
local MOST_LOOKED_AT = 1000
local position, settled, repeated = 3, 0, 0

local function take()
  local value = ARGV[position]
  position = position + 1
  return value
end

local function take_letters()
  local letters = {}
  for index = 1, tonumber(take()) do
    local length = tonumber(take())
    letters[index] = {unpack(ARGV, position, position + length - 1)}
    position = position + length
  end
  return letters
end

local function failure(reply)
  return type(reply) == 'table' and reply.err
end

local function names(letter, id)
  for field = 1, #letter, 2 do
    if letter[field] == 'entry' then return letter[field + 1] == id end
  end
end

-- Whether a dead letter names this entry. Letters are younger than their entries; beyond so many it is not looked for,
-- and a letter written twice is harmless: retried twice, it is stored once.
local function has_letters(id)
  local start, looked_at = string.match(id, '^%d+') or '-', 0
  while looked_at < MOST_LOOKED_AT do
    local page = redis.pcall('XRANGE', dead, start, '+', 'COUNT', 20)
    if failure(page) then return false end
    for _, letter in ipairs(page) do
      if names(letter[2], id) then return true end
    end
    if #page < 20 then return false end
    looked_at, start = looked_at + #page, '(' .. page[#page][1]
  end
  return false
end

-- A frame that came before, by this entry or by another, and has a receipt or can have none: was it settled?
local function written_before(first, receipts, number)
  if first == '' then return false end
  if receipts > 0 and redis.pcall('GETBIT', KEYS[receipts], number) == 0 then return false end
  return has_letters(first)
end

local function write(letters, deliveries)
  local written = {}
  for _, letter in ipairs(letters) do
    letter[#letter + 1] = 'deliveries'
    letter[#letter + 1] = deliveries
    local reply = redis.pcall('XADD', dead, '*', unpack(letter))
    if failure(reply) then
      if #written > 0 then redis.pcall('XDEL', dead, unpack(written)) end
      return reply.err
    end
    written[#written + 1] = reply
  end
end

-- How often the entry was delivered; nil where it is not pending, or its group is gone.
local function deliveries_of(id)
  local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
  local wrong = failure(pending)
  if wrong and not string.find(wrong, 'NOGROUP', 1, true) then return nil, wrong end
  if wrong or #pending == 0 then return nil end
  return pending[1][4]
end

local function receive(receipts, number)
  if receipts == 0 then return end
  redis.pcall('SETBIT', KEYS[receipts], number, 1)
  redis.pcall('EXPIRE', KEYS[receipts], expiry)
end

local function settle(id, first, receipts, number, again, letters)
  local rescued = 0
  if #letters > 0 then
    local deliveries, wrong = deliveries_of(id)
    if wrong then return wrong end
    if not deliveries then
      if #redis.call('XRANGE', stream, id, id) > 0 or has_letters(id) then return 0 end
      rescued = 1
    end
    if not written_before(first, receipts, number) then
      wrong = write(letters, deliveries or 1)
      if wrong then return wrong end
    end
  end
  local acknowledged = redis.pcall('XACK', stream, group, id)
  if failure(acknowledged) then return acknowledged.err end
  settled = settled + acknowledged
  repeated = repeated + acknowledged * again
  if acknowledged + rescued > 0 then receive(receipts, number) end
  return math.max(acknowledged, rescued)
end

local outcome = {}
while position <= #ARGV do
  local id, first, receipts, number, again = take(), take(), tonumber(take()), take(), tonumber(take())
  outcome[#outcome + 1] = settle(id, first, receipts, number, again, take_letters())
end
if settled > 0 then redis.pcall('HINCRBY', tally, 'settled:' .. group, settled) end
if repeated > 0 then redis.pcall('HINCRBY', tally, 'repeated:' .. group, repeated) end
return outcome
