-- Settles entries: still pending? then its dead letters, then the acknowledgement, then the receipt. In this order:
-- a dead letter that cannot be written leaves its entry pending, and of two workers only one writes it.
-- KEYS: stream, dead-letter stream, then the receipts of each emitter.
-- ARGV: group, seconds until receipts expire, then for each entry: id, position of its receipts among KEYS or 0,
-- frame number, number of dead letters, and for each of these the number of its fields and values, and they themselves.
-- Returns for each entry 1 (settled), 0 (not pending: settled by another worker, or gone), or the text of an error.
local stream, dead, group, expiry = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local position = 3

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

local function settle(id, receipts, number, letters)
  if #letters > 0 then
    local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
    local wrong = failure(pending)
    if wrong and string.find(wrong, 'NOGROUP', 1, true) then return 0 end
    if wrong then return wrong end
    if #pending == 0 then return 0 end
    for _, letter in ipairs(letters) do
      letter[#letter + 1] = 'deliveries'
      letter[#letter + 1] = pending[1][4]
      local written = redis.pcall('XADD', dead, '*', unpack(letter))
      if failure(written) then return written.err end
    end
  end
  local acknowledged = redis.pcall('XACK', stream, group, id)
  if failure(acknowledged) then return acknowledged.err end
  if acknowledged == 1 and receipts > 0 then
    redis.pcall('SETBIT', KEYS[receipts], number, 1)
    redis.pcall('EXPIRE', KEYS[receipts], expiry)
  end
  return acknowledged
end

local outcome = {}
while position <= #ARGV do
  local id, receipts, number = take(), tonumber(take()), take()
  outcome[#outcome + 1] = settle(id, receipts, number, take_letters())
end
return outcome
