-- Macros: store the accepted text instead of the key if a suggestion is accepted while a macro is recorded.
-- No suggestion is visible when the macro runs.
local M = {}
local api = vim.api

local namespace = api.nvim_create_namespace 'tinycopilot.macros'
local typed = nil ---@type string? keys typed since the recording started; nil if not recording
local last = 1 -- index of the last key in `typed`
local accepted = {} ---@type { from: integer, to: integer, text: string, key: string }[] the accepting keys in `typed`

--- Records that the last key has inserted `text`, and then typed `key`, a mapped bracket or ''.
function M.note(text, key)
  if typed and typed ~= '' then table.insert(accepted, { from = last, to = #typed, text = text, key = key }) end
end

local function note_key(_, keys)
  if not typed or not keys or keys == '' then return end
  typed, last = typed .. keys, #typed + 1
end

--- Returns keys that insert `text` literally: without mappings, abbreviations and indentation.
local function keys_for(text)
  local function escaped(character)
    return #character > 1 and ('\\U%08x'):format(vim.fn.char2nr(character)) or ('\\x%02x'):format(character:byte())
  end
  local literal = text:gsub('[%z\1-\31\\"\127]', escaped):gsub('[\194-\244][\128-\191]+', escaped)
  return vim.keycode '<Cmd>' .. ('call nvim_paste("%s", v:false, -1)'):format(literal) .. '\r'
end

--- Returns the recorded `keys` with accepting keys replaced by their texts; nil if `keys` differ from `typed`.
local function with_texts(keys)
  if #accepted == 0 or not vim.startswith(typed, keys) then return nil end
  for i = #accepted, 1, -1 do
    local entry = accepted[i]
    keys = keys:sub(1, entry.from - 1) .. keys_for(entry.text) .. entry.key .. keys:sub(entry.to + 1)
  end
  return keys
end

local stored = {} ---@type { register: string, recorded: string, keys: string? } the last macro, with texts in `keys`

--- Replaces the recorded keys, at the end of their register (`qA` appends), with those with texts.
function M.store()
  local contents = vim.fn.getreg(stored.register)
  if not vim.endswith(contents, stored.recorded) then return end
  vim.fn.setreg(stored.register, contents:sub(1, #contents - #stored.recorded) .. stored.keys, 'c')
end

--- Handles the start and end of recordings.
function M.follow(group)
  api.nvim_create_autocmd('RecordingEnter', {
    group = group,
    callback = function()
      typed, last, accepted = '', 1, {}
      vim.on_key(note_key, namespace)
    end,
  })
  api.nvim_create_autocmd('RecordingLeave', {
    group = group,
    callback = function()
      local recorded = vim.v.event.regcontents
      stored = { register = vim.v.event.regname:lower(), recorded = recorded, keys = with_texts(recorded) }
      vim.on_key(nil, namespace)
      typed = nil
      if not stored.keys then return end
      -- Neovim sets the register after this event. Change it then, but before the next key, which may run the macro.
      api.nvim_feedkeys(vim.keycode "<Cmd>lua require('tinycopilot.macros').store()<CR>", 'in', false)
    end,
  })
end

return M
