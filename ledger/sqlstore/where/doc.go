// Package where turns questions into conditions of SQL.
//
//	tallyman.Expr --Compile(Engine.Transfer | Event | Gap | Finding)--> Condition{SQL, Args}
//
// A condition means what package query says the expression means: it is never NULL, compares names byte by byte, and takes every word of a person as an
// argument, never as SQL. Conditions on transfers speak of a row t of the table transfer. The package is pure; to ask is left to sqlstore.
package where
