-- What the keys do to a suggestion, and how a key goes back to its old meaning where there is none.
local M = {}
local api, suggestions = vim.api, vim.lsp.inline_completion

--- `item` as it is to be inserted now, or nil if the user has typed something else. Neovim keeps a suggestion on the
--- screen while the user types on, until the next answer, but would insert the whole of it at the place where it began.
local function remainder(item)
  if not item.range or type(item.insert_text) ~= 'string' then return item end -- another server's
  item.insert_text = item.insert_text:gsub('\r\n', '\n') -- the line ends of a file are no characters of Neovim's lines
  local row, column, end_row, end_column = item.range:to_extmark()
  local cursor = api.nvim_win_get_cursor(0)
  local here, at = cursor[1] - 1, cursor[2]
  if here < row or (here == row and at < column) then return nil end
  local typed = table.concat(api.nvim_buf_get_text(0, row, column, here, at, {}), '\n')
  if typed == item.insert_text or not vim.startswith(item.insert_text, typed) then return nil end
  if here > end_row or (here == end_row and at > end_column) then
    item.range = vim.range.extmark(0, row, column, here, at) -- what is typed already is replaced by itself
  end
  return item
end

--- Takes the suggestion off the screen, and inserts what `use` makes of it. False where there is none, or no use of it.
--- Neovim hands it over a moment later: waiting for that keeps it before the keys that come next.
local function take(use)
  local handed, item = false, nil
  local function on_accept(suggestion)
    handed, item = true, use(suggestion)
    return item
  end
  return suggestions.get { on_accept = on_accept } and vim.wait(100, function() return handed end, 1) and item ~= nil
end

local actions = {} -- each says whether there was a suggestion to act on

function actions.accept()
  if vim.fn.complete_info({ 'selected' }).selected >= 0 then return false end -- the key is the popup menu's
  return take(function(item)
    vim.go.undolevels = vim.go.undolevels -- starts a new change, so that undo takes back the suggestion alone
    return remainder(item)
  end)
end

function actions.dismiss()
  return suggestions.get { on_accept = function() end } -- taken, and put nowhere
end

local function step(count)
  local namespace = api.nvim_create_namespace('nvim.lsp.inline_completion')
  if #api.nvim_buf_get_extmarks(0, namespace, 0, -1, { limit = 1 }) == 0 then return false end
  suggestions.select { count = count }
  return true
end

function actions.next() return step(1) end
function actions.previous() return step(-1) end

local function find(mappings, key)
  key = vim.keycode(key)
  return vim.iter(mappings):find(function(mapping) return mapping.lhsraw == key or mapping.lhsrawalt == key end)
end

--- Types `key` as if it were not ours. `own` is the buffer's mapping that ours hides, if it had one; a mapping for all
--- buffers is looked up now, since it may be younger. It is copied under a name, and typing the name is typing the key.
local function type_through(action, key, own)
  local mapping = own or find(api.nvim_get_keymap('i'), key)
  if not mapping then return api.nvim_feedkeys(vim.keycode(key), 'in', false) end
  if vim.startswith(vim.keycode(mapping.rhs or ''), vim.keycode(key)) then mapping.noremap = 1 end -- or it never ends
  local name = ('<Plug>(tinycopilot-not-%s)'):format(action)
  mapping.lhs, mapping.lhsraw, mapping.lhsrawalt = name, vim.keycode(name), nil
  vim.fn.mapset('i', false, mapping)
  api.nvim_feedkeys(vim.keycode(name), 'im', false)
end

--- Sets the keys in one buffer; `keymaps` as in setup's options.
function M.set(buffer, keymaps)
  if vim.b[buffer].tinycopilot_keys then return end -- they are here since before a restart
  vim.b[buffer].tinycopilot_keys = true
  for action, key in pairs(keymaps) do
    if key then
      local own = find(api.nvim_buf_get_keymap(buffer, 'i'), key)
      vim.keymap.set('i', key, function()
        if not actions[action]() then type_through(action, key, own and vim.deepcopy(own)) end
      end, { buffer = buffer, desc = ('tinycopilot: %s suggestion'):format(action) })
    end
  end
end

return M
