package sqlstore

import "tallyman"

// The conditions on what is no transfer. A field that a record lacks fits nothing.

func (s *Store) eventTerm(t tallyman.Term) (condition, error) {
	switch t.Field {
	case tallyman.FieldKind:
		return within("t.kind", "word", s.textMatch("text", t)), nil
	case tallyman.FieldHost:
		return within("t.host", "word", s.textMatch("text", t)), nil
	case tallyman.FieldUser:
		return s.textMatch("t.user", t), nil
	case tallyman.FieldClient:
		return within("t.client", "address", network("ip", t.Net)), nil
	case tallyman.FieldFile:
		return s.textMatch("t.path", t), nil
	case tallyman.FieldAny:
		return either([]condition{
			s.loosely("t.text", t), s.loosely("t.path", t), s.loosely("t.user", t), s.loosely("t.device", t),
			within("t.client", "address", s.loosely("text", t)),
		}), nil
	default:
		return never, nil
	}
}

func (s *Store) gapTerm(t tallyman.Term) (condition, error) {
	switch t.Field {
	case tallyman.FieldKind:
		return truth(t.Text == "gap"), nil
	case tallyman.FieldHost:
		return within("t.host", "word", s.textMatch("text", t)), nil
	case tallyman.FieldAny:
		return s.loosely("t.why", t), nil
	default:
		return never, nil
	}
}

func (s *Store) findingTerm(t tallyman.Term) (condition, error) {
	switch t.Field {
	case tallyman.FieldKind:
		return truth(t.Text == "finding"), nil
	case tallyman.FieldAny:
		return either([]condition{s.loosely("t.why", t), s.loosely("t.rule", t), s.loosely("t.topic", t)}), nil
	default:
		return never, nil
	}
}
