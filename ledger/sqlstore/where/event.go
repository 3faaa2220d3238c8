package where

import "tallyman"

// Event is the condition of a term on the row t of event. A field that a record lacks fits nothing.
func (e Engine) Event(t tallyman.Term) (Condition, error) {
	switch t.Field {
	case tallyman.FieldKind:
		return within("t.kind", "word", e.Text("text", t)), nil
	case tallyman.FieldHost:
		return within("t.host", "word", e.Text("text", t)), nil
	case tallyman.FieldUser:
		return e.Text("t.user_name", t), nil
	case tallyman.FieldClient:
		return within("t.client", "address", Network("ip", t.Net)), nil
	case tallyman.FieldFile:
		return e.Text("t.path", t), nil
	case tallyman.FieldToClass:
		return e.Text("t.to_class", t), nil
	case tallyman.FieldAny:
		return Either([]Condition{
			e.Loosely("t.text", t), e.Loosely("t.path", t), e.Loosely("t.user_name", t), e.Loosely("t.device", t),
			within("t.client", "address", e.Loosely("text", t)),
		}), nil
	default:
		return Never, nil
	}
}

// Gap is the condition of a term on the row t of gap.
func (e Engine) Gap(t tallyman.Term) (Condition, error) {
	switch t.Field {
	case tallyman.FieldKind:
		return truth(t.Text == "gap"), nil
	case tallyman.FieldHost:
		return within("t.host", "word", e.Text("text", t)), nil
	case tallyman.FieldAny:
		return e.Loosely("t.why", t), nil
	default:
		return Never, nil
	}
}

// Finding is the condition of a term on the row t of finding.
func (e Engine) Finding(t tallyman.Term) (Condition, error) {
	switch t.Field {
	case tallyman.FieldKind:
		return truth(t.Text == "finding"), nil
	case tallyman.FieldAny:
		return Either([]Condition{e.Loosely("t.why", t), e.Loosely("t.rule", t), e.Loosely("t.topic", t)}), nil
	default:
		return Never, nil
	}
}
