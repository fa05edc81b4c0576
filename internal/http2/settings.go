package http2

import (
	"encoding/binary"

	xhttp2 "golang.org/x/net/http2"
)

// readSettings takes what the client grants.
func (c *conn) readSettings(h head) error {
	switch {
	case h.id != 0:
		return protocolError("SETTINGS of a stream")
	case h.flags.Has(xhttp2.FlagSettingsAck):
		if h.length != 0 {
			return sizeError("acknowledgement of SETTINGS with settings")
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.acked {
			return protocolError("acknowledgement of SETTINGS that were not sent")
		}
		c.acked = true
		return nil
	case h.length%6 != 0 || h.length > 6*100:
		return sizeError("SETTINGS of wrong size")
	}
	if err := c.noise.heard(c); err != nil {
		return err
	}
	b, err := c.br.Peek(h.length)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; len(b) > 0; b = b[6:] {
		s := xhttp2.Setting{ID: xhttp2.SettingID(binary.BigEndian.Uint16(b)), Val: binary.BigEndian.Uint32(b[2:])}
		if err := c.setting(s); err != nil {
			return err
		}
	}
	c.br.Discard(h.length)
	return c.reply(func(b []byte) []byte { return appendHead(b, 0, xhttp2.FrameSettings, xhttp2.FlagSettingsAck, 0) })
}

// setting applies one. What is not named here does not concern servers, or is advice. c.mu is held.
func (c *conn) setting(s xhttp2.Setting) error {
	switch s.ID {
	case xhttp2.SettingEnablePush:
		if s.Val > 1 {
			return protocolError("ENABLE_PUSH is neither 0 nor 1")
		}
	case xhttp2.SettingHeaderTableSize:
		c.enc.SetMaxDynamicTableSize(s.Val) // at most 4096, the encoder's own limit
	case xhttp2.SettingMaxFrameSize:
		if s.Val < firstFrame || s.Val > 1<<24-1 {
			return protocolError("MAX_FRAME_SIZE out of range")
		}
		c.peerFrame = int(s.Val)
	case xhttp2.SettingInitialWindowSize:
		if s.Val > maxWindow {
			return connError{xhttp2.ErrCodeFlowControl, "INITIAL_WINDOW_SIZE out of range"}
		}
		more := int(s.Val) - c.peerWindow
		c.peerWindow = int(s.Val)
		for _, st := range c.streams {
			if st.window += more; st.window > maxWindow {
				return connError{xhttp2.ErrCodeFlowControl, "window too large"}
			}
			if more > 0 {
				st.wake.Broadcast()
			}
		}
	}
	return nil
}
